from Customers import Probabilities  # The wrapper wants a module of the same name.
