"""Whether predictions keep how genes go with traits of donors."""
