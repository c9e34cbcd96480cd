#include <cstdio>

int main() {
  std::puts("orthant");
  return 0;
}
