//! The crash matrix: the controller is cut off before and after every call it makes, and started again with an empty
//! memory. The end must be the same as without the crash, and nothing be created or deleted twice.
