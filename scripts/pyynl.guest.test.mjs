// The same in the guest, whose kernel is newer.
import './pyynl.test.mjs'
