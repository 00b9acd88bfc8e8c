// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_SETTINGS_H_
#define KINSOCK_SERVER_MODEL_VM_SETTINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include "server/model/vm_spec.h"

namespace kinsock {

// One VM in the words of vhost-device-vsock, the daemon that people come from: the same settings are its flags, the
// keys of its --vm option and those of its YAML file. "-" and "_" in a key are the same. `name`, `network`, and the
// values "auto" and "1024-2047" of guest_cid are ours.
//
//     name network guest_cid socket uds_path tx_buffer_size queue_size groups forward_cid forward_listen

// All keys, with "_".
const std::vector<std::string_view>& VmSettingKeys();

// `key` with "_" for "-".
std::string NormalSettingKey(std::string_view key);

// Puts one setting into `vm`. Returns what is wrong, in words that follow the key; empty if nothing.
std::string ApplyVmSetting(std::string_view key, std::string_view value, VmCreation& vm);

// What a VM has that was not said: guest_cid 3, as in the existing daemon, and the name "vm-<cid>".
VmCreation DefaultVm();
void NameVm(VmCreation& vm);

// The key whose value the field of a FieldViolation came from: "uds_path" for "vm.spec.uds.path".
std::string SettingOfField(std::string_view field);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_SETTINGS_H_
