from mtm.api import Model as Model
from mtm.api import load as load

__version__: str
