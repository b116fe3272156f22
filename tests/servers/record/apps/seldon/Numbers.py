from Customers import Numbers  # The wrapper wants a module of the same name.
