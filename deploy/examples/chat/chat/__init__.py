"""A chat page on Tradelatch's platform API: a product to start from."""
