// SPDX-License-Identifier: Apache-2.0
#include "server/model/network.h"

#include "absl/strings/str_cat.h"

namespace kinsock {

// As of VMs (VmDefinition::etag).
std::string DefinitionBase::etag() const { return uid.empty() ? "" : absl::StrCat(uid.substr(0, 8), "-", generation); }

}  // namespace kinsock
