//! Every send is bounded, and says so when it does not get through.
