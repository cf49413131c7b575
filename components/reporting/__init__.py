"""What a person looks at: pages, figures, the model card."""
