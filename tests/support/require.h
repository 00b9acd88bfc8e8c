// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_REQUIRE_H_
#define KINSOCK_TESTS_SUPPORT_REQUIRE_H_

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace kinsock::testing {

// For what only a broken test or a machine without resources can violate: says so and ends the test process.
inline void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "test support: %s (errno: %s)\n", what, std::strerror(errno));
  std::abort();
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_REQUIRE_H_
