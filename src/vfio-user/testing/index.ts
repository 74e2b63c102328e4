/**
 * `netmem/vfio-user/testing`: a machine in this process for tests of PCI devices, without QEMU and without
 * a guest.
 *
 * @module
 */

export {
  connectTestMachine,
  createTestMachine,
  messageOf,
  type Reply,
  TestMachine,
  type TestMachineOptions,
} from './test-machine.ts'
