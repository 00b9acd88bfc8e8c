// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "tests/support/require.h"

namespace kinsock::testing {

TempDir::TempDir() {
  char path[] = "/tmp/kin-XXXXXX";
  Require(mkdtemp(path) != nullptr, "no temporary directory");
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;  // a destructor has nobody to tell
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace kinsock::testing
