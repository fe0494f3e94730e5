"""What the trader reports: state, metrics, notices and its HTTP port."""
