"""TSL-Net, sentiment localisation (ACM MM 2022): its recipe, training and tests."""
