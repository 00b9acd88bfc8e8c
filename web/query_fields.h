// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_QUERY_FIELDS_H_
#define KINSOCK_WEB_QUERY_FIELDS_H_

#include <google/protobuf/message.h>

#include <map>
#include <string>

#include "absl/status/status.h"

namespace kinsock {

// Puts the parameters of a URL into the fields of `request` of the same names: "page_size=10&view=FULL". Repeated
// fields take a parameter for each element. INVALID_ARGUMENT FIELD_INVALID, with every parameter that is no field, or
// whose value its field does not take; messages within the request cannot be given so. Pure function; any thread.
absl::Status SetFields(const std::multimap<std::string, std::string>& parameters, google::protobuf::Message& request);

}  // namespace kinsock

#endif  // KINSOCK_WEB_QUERY_FIELDS_H_
