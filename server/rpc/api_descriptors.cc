// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_descriptors.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/descriptor_set.h"

namespace kinsock {

const ApiDescriptors& ApiDescriptors::Get() {
  static const ApiDescriptors& descriptors = *[] {
    google::protobuf::FileDescriptorSet files;
    // What the build has put in cannot be unreadable; were it so, the API would merely describe nothing.
    files.ParseFromArray(kApiDescriptorSet, static_cast<int>(kApiDescriptorSetSize));
    return new ApiDescriptors(files);
  }();
  return descriptors;
}

ApiDescriptors::ApiDescriptors(const google::protobuf::FileDescriptorSet& files) {
  for (const google::protobuf::FileDescriptorProto& file : files.file()) {
    files_[file.name()] = {file.SerializeAsString(), {file.dependency().begin(), file.dependency().end()}};
    const std::string scope = file.package().empty() ? "" : file.package() + ".";
    for (const auto& message : file.message_type()) AddMessage(message, scope, file.name());
    for (const auto& one : file.enum_type()) file_of_symbol_[scope + one.name()] = file.name();
    for (const auto& service : file.service()) {
      const std::string name = scope + service.name();
      services_.push_back(name);
      file_of_symbol_[name] = file.name();
      for (const auto& method : service.method()) file_of_symbol_[absl::StrCat(name, ".", method.name())] = file.name();
    }
  }
  std::sort(services_.begin(), services_.end());
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as our own files nest messages
void ApiDescriptors::AddMessage(const google::protobuf::DescriptorProto& message, const std::string& scope,
                                const std::string& file) {
  const std::string name = scope + message.name();
  file_of_symbol_[name] = file;
  for (const auto& field : message.field()) file_of_symbol_[absl::StrCat(name, ".", field.name())] = file;
  for (const auto& one : message.enum_type()) file_of_symbol_[absl::StrCat(name, ".", one.name())] = file;
  for (const auto& nested : message.nested_type()) AddMessage(nested, name + ".", file);
}

std::vector<std::string> ApiDescriptors::File(const std::string& name) const {
  std::vector<std::string> found;
  std::vector<std::string> wanted{name};
  std::set<std::string> seen;
  while (!wanted.empty()) {
    const std::string next = wanted.back();
    wanted.pop_back();
    const auto file = files_.find(next);
    if (file == files_.end() || !seen.insert(next).second) continue;
    found.push_back(file->second.bytes);
    wanted.insert(wanted.end(), file->second.imports.begin(), file->second.imports.end());
  }
  return found;
}

std::vector<std::string> ApiDescriptors::FileOfSymbol(const std::string& symbol) const {
  const auto file = file_of_symbol_.find(symbol);
  return file == file_of_symbol_.end() ? std::vector<std::string>() : File(file->second);
}

}  // namespace kinsock
