"""What the trainers of VAANet and CTEN share: labelled clips in, a tested bundle out."""
