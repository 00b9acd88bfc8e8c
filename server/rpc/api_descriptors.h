// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_RPC_API_DESCRIPTORS_H_
#define KINSOCK_SERVER_RPC_API_DESCRIPTORS_H_

#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <string>
#include <vector>

namespace kinsock {

// The .proto files of all services that the daemon has, with their comments: what a client without files learns the
// API from. protobuf's own copy, in the generated code, has no comments.
//
// Immutable; any thread.
class ApiDescriptors {
 public:
  // Those that the binary was built with.
  static const ApiDescriptors& Get();

  explicit ApiDescriptors(const google::protobuf::FileDescriptorSet& files);

  // The file `name`, or the one that declares `symbol` ("kinsock.v1.Vm", "kinsock.v1.VmService.GetVm"), and all files
  // that it needs, each serialized, itself first. Empty if there is none.
  std::vector<std::string> File(const std::string& name) const;
  std::vector<std::string> FileOfSymbol(const std::string& symbol) const;

  // Full names, sorted.
  const std::vector<std::string>& services() const { return services_; }

 private:
  struct Entry {
    std::string bytes;
    std::vector<std::string> imports;
  };

  void AddMessage(const google::protobuf::DescriptorProto& message, const std::string& scope, const std::string& file);

  std::map<std::string, Entry> files_;
  std::map<std::string, std::string> file_of_symbol_;
  std::vector<std::string> services_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_RPC_API_DESCRIPTORS_H_
