#include "launch/program/program.h"

int main(int count, char** arguments) {
  return orthant::launch::run_program({arguments, arguments + count});
}
