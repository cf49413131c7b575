"""Where a base model comes from: trained here, a wheel of the package index, a GGUF file."""
