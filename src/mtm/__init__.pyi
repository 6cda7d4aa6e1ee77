from mtm.api import load as load

__version__: str
