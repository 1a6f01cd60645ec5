"""A chat of one room: the Quart app, which is an installed package."""
