"""What authors write: text → data with places → typed models → findings."""
