"""The hyper-parameters of every class of model, one file each."""
