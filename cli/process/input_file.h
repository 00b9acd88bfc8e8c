// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_PROCESS_INPUT_FILE_H_
#define KINSOCK_CLI_PROCESS_INPUT_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace kinsock {

// A file of 16,384 VMs has some 3 MiB; what is larger was given by mistake (a disk image, a log).
inline constexpr size_t kMaxInputBytes = 16u << 20;

// All of the file `path`, or of standard input for "-". An error says what is wrong with it in words that follow its
// name.
absl::StatusOr<std::string> ReadInput(const std::string& path);

// What to call it in messages.
std::string InputName(const std::string& path);

}  // namespace kinsock

#endif  // KINSOCK_CLI_PROCESS_INPUT_FILE_H_
