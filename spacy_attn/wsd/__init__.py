"""Word sense disambiguation: inventories, methods, and the engine that asks them."""
