"""Meeting rooms to book: the Litestar app, which lies in a sub-folder and is made by a factory."""
