"""The world's libraries, judged as they are: which of them are here, what came of it, and the page that shows it."""
