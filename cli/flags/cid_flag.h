// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_CID_FLAG_H_
#define KINSOCK_CLI_FLAGS_CID_FLAG_H_

#include <string>

#include "api/kinsock/v1/vm.pb.h"

namespace kinsock {

// How a CID is asked for, as --help says it.
inline constexpr char kCidText[] = "N|A-B|networks/NET/cids/N|auto";

// Puts "42", "auto", "100-200" or "networks/default/cids/42" into `out`. False: it is none of these.
bool ParseCid(const std::string& text, v1::CidRequest& out);

// What is wrong with a `flag` that ParseCid() did not take.
std::string CidFault(const std::string& flag, const std::string& text);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_CID_FLAG_H_
