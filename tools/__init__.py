"""What is run while the engine is developed."""
