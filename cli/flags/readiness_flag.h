// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_READINESS_FLAG_H_
#define KINSOCK_CLI_FLAGS_READINESS_FLAG_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// Puts "connects:N", "probe:N" or "notify:N", as of --ready-when, into `readiness`. False: it is none of these.
bool ParseReadiness(const std::string& text, v1::Readiness& readiness);

// What is wrong with a --ready-when that ParseReadiness() did not take; `others`: what else may stand there.
std::string ReadinessFault(const std::string& text, const std::string& others = "");

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_READINESS_FLAG_H_
