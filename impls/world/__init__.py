"""The world's libraries as they are: a file of adapters each, which of them there are, and what installs them."""
