from nimbus_tasks import *
