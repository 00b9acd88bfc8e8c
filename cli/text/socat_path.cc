// SPDX-License-Identifier: Apache-2.0
#include "cli/text/socat_path.h"

#include "absl/strings/str_replace.h"

namespace kinsock {

// It splits addresses at colons and commas and takes quotes off.
std::string SocatPath(const std::string& path) {
  return absl::StrReplaceAll(path,
                             {{"\\", "\\\\"}, {":", "\\:"}, {",", "\\,"}, {"!", "\\!"}, {"'", "\\'"}, {"\"", "\\\""}});
}

}  // namespace kinsock
