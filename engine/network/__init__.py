"""What crosses brands and customers: invoices of points of sale, and events about them."""
