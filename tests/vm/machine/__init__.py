"""The framework: what the guest is made of, how it runs, and what is plugged into it. It knows no case."""
