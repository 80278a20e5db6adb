"""One training as a folder: how it is put together, trained, resumed, kept, and evaluated."""
