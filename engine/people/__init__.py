"""Who is who: customers and their identities, the principals behind keys, and codes to them."""
