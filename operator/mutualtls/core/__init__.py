"""What is decided and signed, without IO and without a clock."""
