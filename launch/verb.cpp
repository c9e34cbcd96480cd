#include "launch/verb.h"
