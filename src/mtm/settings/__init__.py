"""Every setting: one class a section of the config, and one a class of model."""
