// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_RELOAD_REPORT_H_
#define KINSOCK_SERVER_CONFIG_RELOAD_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/config/config.h"

namespace kinsock {

// What is to become of one object when the configuration is read again, and what came of it. Plain value.
struct ConfigChange {
  enum class Action : uint8_t { kCreate, kUpdate, kReplace, kDelete };

  Action action = Action::kCreate;
  std::string name;     // "vms/a"
  std::string place;    // where the file has it; empty: nowhere
  absl::Status status;  // OK: it was done, or will be; else why not
};

// What came of reading the configuration again. Plain value.
struct ReloadReport {
  bool applied =
      false;  // what could be done was; else something is wrong with the file, or it was only to be looked at
  std::string file;
  std::vector<ConfigProblem> problems;
  std::vector<ConfigChange> changes;  // of what is not as the file has it
  size_t unchanged = 0;
  std::vector<std::string> restart_required;  // settings

  size_t refused() const {
    size_t count = 0;
    for (const ConfigChange& change : changes) count += change.status.ok() ? 0 : 1;
    return count;
  }
};

// How to read it again. Plain value.
struct ReloadRequest {
  bool validate_only = false;
  bool force = false;  // VMs whose VMM is connected are taken apart, too
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_RELOAD_REPORT_H_
