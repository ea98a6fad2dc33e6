"""The shape of every body: what clients send and what they get, as types; the contract in code.

Bodies that are sent refuse unknown fields, and a float, a boolean or a string where an integer
belongs; texts hold no control characters.
"""
