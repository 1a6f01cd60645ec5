"""An app whose import takes as long as that of many real ones."""
