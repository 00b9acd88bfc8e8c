// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_SELECTOR_FLAG_H_
#define KINSOCK_CLI_FLAGS_SELECTOR_FLAG_H_

#include <string>
#include <vector>

#include "api/kinsock/v1/network.pb.h"

namespace kinsock {

// Who and what a policy is about, as it is typed and shown.

inline constexpr char kSelectorForm[] = "any|host|VM|KEY=VALUE|group:A+B|cid:FIRST-LAST, several with commas";

// Adds to `selector` what `text` says. Returns the item that is of none of the forms; empty: all are.
std::string ParseSelector(const std::string& text, v1::Policy::Selector& selector);

// The other way round: "any", "group:a+b,tier=web".
std::string SelectorText(const v1::Policy::Selector& selector);

// "80", "1-1023"; "any" alone is no range. Returns the text that is none of that; empty: all are.
std::string ParsePorts(const std::vector<std::string>& texts, v1::Policy& policy);

std::string PortsText(const v1::Policy& policy);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_SELECTOR_FLAG_H_
