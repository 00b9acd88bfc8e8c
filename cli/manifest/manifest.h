// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_MANIFEST_H_
#define KINSOCK_CLI_MANIFEST_MANIFEST_H_

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <string>
#include <vector>

#include "api/kinsock/v1/forward.pb.h"
#include "api/kinsock/v1/network.pb.h"
#include "api/kinsock/v1/vm.pb.h"
#include "server/config/config.h"

namespace kinsock {

// As many objects as files may describe: what a daemon has of all kinds at most.
inline constexpr size_t kMaxManifestObjects = 65536;

// An object that a file describes.
template <typename Message>
struct Described {
  Message message;    // has its full name
  std::string file;   // where it stands
  std::string place;  // "vms.yaml:3:5"
  // What says it, if that is a message of the API: where its fields stand is found in it. Undefined for an entry of a
  // configuration file.
  YAML::Node node{YAML::NodeType::Undefined};
};

// What there should be. Plain value.
struct Manifest {
  std::vector<Described<v1::Network>> networks;
  std::vector<Described<v1::Policy>> policies;
  std::vector<Described<v1::Vm>> vms;
  std::vector<Described<v1::Forward>> forwards;
  std::vector<std::string> left_out;  // "kinsock.yaml: api", which are about the daemon and not for it to be told

  size_t size() const { return networks.size() + policies.size() + vms.size() + forwards.size(); }
};

// Adds what `text` describes: YAML or JSON, any number of documents, each
//
//     name: vms/web ...                 a message of the API, as `kinsockctl vm get -o yaml` prints it; a name without
//                                       a slash is that of a VM
//     - {...}                           several of them
//     vms: [{name: vms/web ...}]        as `kinsockctl vm list -o yaml` prints them; also networks, policies, forwards
//     vms: [{name: web, guest_cid: 3}]  a configuration file, also of the existing daemon
//
// What is wrong is added to `problems`, all of it, with the file's name, line and column.
void ReadManifest(const std::string& text, const std::string& file, Manifest& manifest,
                  std::vector<ConfigProblem>& problems);

// What no two objects may have both, as of FindClashes().
std::vector<ConfigProblem> FindClashes(const Manifest& manifest);

// "vms.yaml:4:12", where the field stands that the daemon calls "spec.uds.path".
template <typename Message>
std::string PlaceOfField(const Described<Message>& object, const std::string& field);

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_MANIFEST_H_
