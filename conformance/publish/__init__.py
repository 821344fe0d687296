"""The site of the spec: pages to read, to link and to cite, made from the cards alone."""
