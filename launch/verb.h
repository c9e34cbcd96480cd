// A verb of the program: its name, its schema and the function that runs it.
#pragma once

namespace orthant::launch {}
