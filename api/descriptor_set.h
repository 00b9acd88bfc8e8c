// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_API_DESCRIPTOR_SET_H_
#define KINSOCK_API_DESCRIPTOR_SET_H_

namespace kinsock {

// A serialized google.protobuf.FileDescriptorSet of the API, made by the build from the .proto files.
extern const unsigned char kApiDescriptorSet[];
extern const unsigned long kApiDescriptorSetSize;

}  // namespace kinsock

#endif  // KINSOCK_API_DESCRIPTOR_SET_H_
