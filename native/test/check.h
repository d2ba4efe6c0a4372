// The smallest test tool that serves: CHECK counts, prints file and line, and main returns what failed. A closing line
// "N passed, N failed" is what the runner adds up.
#pragma once

#include <cstdio>

namespace hushtone::test {
inline int passed = 0;
inline int failed = 0;

inline void Report(bool holds, const char* expression, const char* file, int line) {
  if (holds) {
    ++passed;
    return;
  }
  ++failed;
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, expression);
}

inline int Finish() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
}  // namespace hushtone::test

#define CHECK(expression) ::hushtone::test::Report(static_cast<bool>(expression), #expression, __FILE__, __LINE__)
