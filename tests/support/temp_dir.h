// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_TEMP_DIR_H_
#define KINSOCK_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>

namespace kinsock::testing {

// A directory of its own under /tmp, removed with all its contents. Not under Bazel's TEST_TMPDIR: that path is
// longer than the 107 bytes of sun_path leave for a socket.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // The path of `name` in the directory.
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_TEMP_DIR_H_
