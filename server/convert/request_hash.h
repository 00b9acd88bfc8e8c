// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_REQUEST_HASH_H_
#define KINSOCK_SERVER_CONVERT_REQUEST_HASH_H_

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdint>
#include <string>

#include "base/stable_hash.h"

namespace kinsock {

// Two requests that ask the same have the same hash, whatever their request_id; those of two methods never. 0 for a
// request without a request_id. Any thread.
template <typename Request>
uint64_t RequestHash(Request request) {
  if (request.request_id().empty()) return 0;
  request.clear_request_id();
  std::string bytes = request.GetTypeName();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);  // maps in the order of their keys
    request.SerializeToCodedStream(&out);
  }
  return StableHash(bytes);
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_REQUEST_HASH_H_
